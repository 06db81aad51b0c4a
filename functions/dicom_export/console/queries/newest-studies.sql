SELECT
  MIN(CONCAT(StudyDate, ' ', StudyTime)) AS StudyDateTime,
  MIN(PatientID) AS PatientID,
  StudyInstanceUID,
  COUNT(*) AS InstanceCount
FROM dicom
GROUP BY StudyInstanceUID
ORDER BY StudyDateTime DESC
LIMIT 20
